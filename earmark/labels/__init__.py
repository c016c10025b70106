"""What a label layer says differently from another, and which of the two is right."""
