"""The door to the cluster: pod and node names in, the node's own object and its events out."""
