"""Named maps from images to features, kept out of module trees."""
