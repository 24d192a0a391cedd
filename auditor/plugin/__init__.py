"""`kubectl sockaudit`: what the objects say of pods and nodes, with kubectl's own flags.

The plugin is the same program under kubectl's name: `report` is `sockaudit report`, `top` and `explain` read the objects.
"""
