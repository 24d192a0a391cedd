"""The capacity report: what each pool of nodes runs out of first, how many more pods fit, and what to change.

    files, cluster -> observation -> window -> capacity, sysctls, namespaced, nofile, workloads, changes -> fleet -> shape
    shape -> screen, text, page

The first read, the last write; what is between is pure. The agent imports nothing of it.
"""
