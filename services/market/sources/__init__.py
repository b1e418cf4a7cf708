"""Where prices come from: each source is fetched as it is served and rendered to the one form that
files have, so that there is one way in."""
