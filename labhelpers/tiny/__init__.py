"""The generator of the course's own data (`python -m labhelpers.tiny DIR` writes it), standard library only."""
