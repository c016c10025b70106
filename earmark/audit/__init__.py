"""What scores of models that never saw a clip say of its labels: wrong ones, missing ones, and how many of either."""
