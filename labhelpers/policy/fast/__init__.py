"""What is only there for speed; everything here has a plain counterpart that a test holds it against."""
