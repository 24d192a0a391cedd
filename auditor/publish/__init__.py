"""Publish: what was found, in the shapes of the world outside. Nothing here reads the kernel or speaks to the cluster."""
