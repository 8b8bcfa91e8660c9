"""What a replay shows: the report document, the terminal table and the page."""
