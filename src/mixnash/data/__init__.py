"""Lightning data modules that can produce any training batch from its index; one file each."""
