"""Reports as HTML files: what the API says, in tables and plots."""
