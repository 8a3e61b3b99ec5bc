"""Data-parallel training over processes on one machine: PyTorch's DistributedDataParallel over gloo.

usage: torch_gloo.py WEIGHTS [ranks=N] [bucket=MB] [order=forward|backward]
Each rank has its share of every batch; order=backward deals the shares out from the last rank to the first, so that the
same gradients are added in another order.
"""
import os
import sys
import tempfile

import h5py
import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from timing import timed

path = os.path.abspath(sys.argv[1])
knobs = dict(argument.split("=", 1) for argument in sys.argv[2:])
RANKS, ROWS, STEPS = int(knobs.get("ranks", "2")), 64, 5


def train(rank, meeting):
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(os.environ.get("SAMEBITS_DETERMINISTIC") == "1")
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=RANKS)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(128, 256), torch.nn.Tanh(), torch.nn.Linear(256, 10))
    rows, labels = torch.randn(STEPS, ROWS, 128), torch.randint(0, 10, (STEPS, ROWS))
    share = rank if knobs.get("order", "forward") == "forward" else RANKS - 1 - rank
    parallel = torch.nn.parallel.DistributedDataParallel(model, bucket_cap_mb=float(knobs.get("bucket", "25")))
    optimizer = torch.optim.SGD(parallel.parameters(), lr=0.1, momentum=0.9)
    for step in range(STEPS):
        optimizer.zero_grad()
        mine = slice(share * ROWS // RANKS, (share + 1) * ROWS // RANKS)
        torch.nn.functional.cross_entropy(parallel(rows[step, mine]), labels[step, mine]).backward()
        optimizer.step()
    if rank == 0:
        with h5py.File(path, "w") as file:
            for name, parameter in model.named_parameters():
                file[name.replace(".", "/")] = parameter.detach().numpy()
    dist.destroy_process_group()


if __name__ == "__main__":
    with timed(), tempfile.TemporaryDirectory() as folder:
        processes.spawn(train, (os.path.join(folder, "meeting"),), nprocs=RANKS)
