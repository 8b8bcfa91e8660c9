"""Site power in the running controller: what is known of the sites, planned for them and commanded of them."""
