"""The gRPC servers at a site: they hold leases and keep service when the controller is gone."""
