"""What a recording really holds: every format, every trap, and its samples."""
