"""A Ray of two nodes with one core each, in a process of its own; told on stdin to kill the second node, or to end."""

import json
import sys

from ray.cluster_utils import Cluster

ADDRESS = "127.0.0.2"
"""Ray takes 127.0.0.1 in an address that it is to join for the machine's outer one."""


def main():
    head = {"num_cpus": 1, "include_dashboard": False, "node_ip_address": ADDRESS}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    second = cluster.add_node(num_cpus=1, node_ip_address=ADDRESS)
    cluster.wait_for_nodes()
    raylets = [node.all_processes["raylet"][0].process.pid for node in (cluster.head_node, second)]
    print(json.dumps({"address": cluster.address, "raylets": raylets}), flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(second, allow_graceful=False)
            print("killed", flush=True)
        else:
            break
    cluster.shutdown()


if __name__ == "__main__":
    main()
