"""What a site's power does: plans for its battery, reserve floors, guards and fallbacks."""
