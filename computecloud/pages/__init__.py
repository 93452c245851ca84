"""The operators' pages as a whole: the site, what the rooms' pages share, and its first page, drawn from every room."""
