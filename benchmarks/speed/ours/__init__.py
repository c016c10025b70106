"""What is measured of Earmark; runs in the project's environment."""
