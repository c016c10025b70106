"""Sounds with onset and offset: framewise scores become events, tuned, judged, and found in recordings."""
