"""What each method is worth on data with planted truth, and how fast things are; `make bench-*` runs them."""
