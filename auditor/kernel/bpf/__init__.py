"""BPF iterators: every task and descriptor of the node, summed in the kernel."""
