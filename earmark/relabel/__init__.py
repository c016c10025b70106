"""Scores and labels give other labels: pure functions, and what changed."""
