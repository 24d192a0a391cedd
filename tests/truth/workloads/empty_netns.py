"""A network namespace with nothing in it."""

from truth.workloads import proto

proto.close_inherited()
proto.ready(netns=proto.enter_own_netns())
proto.wait()
