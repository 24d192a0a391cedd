"""Reading the kernel: procfs, sock_diag, kcmp and network namespaces. Knows nothing of owners, limits or Kubernetes."""
