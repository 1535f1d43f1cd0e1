"""What a training will take of memory and hours, from the base model's config and the settings alone."""
