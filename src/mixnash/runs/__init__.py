"""`mixnash runs` and `mixnash follow`: what runs did and are doing, from the files that they write."""
