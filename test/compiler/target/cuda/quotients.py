"""quotients.py SPEC: behind the end of a sequence rows are zeros, and 0/0 is no number. A quotient that enters a product is replaced by 0
there, each of the 16 numbers that a thread has of a block of columns; one that is only stored is not."""
import re
import subprocess
import sys


def selects(model):
    command = ["rondo", "compile", sys.argv[1], "--model", model, "--target", "cuda:sm_90a", "--dtype", "bf16", "--dim", "K=64", "V=64", "--emit", "ptx"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    kernel = re.search(r"\.entry \w+_chunks\(.*?^}", text, re.S | re.M)[0]
    return kernel.count("selp.f32")


stored, multiplied = selects("stored"), selects("multiplied")
if multiplied < stored + 16:
    sys.exit(f"{multiplied} selections where a quotient is multiplied, {stored} where it is stored")
