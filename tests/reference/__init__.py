"""The parts of pages that are made from the code, in each language: `inv docs` writes them.

What is translated stands in docs/reference.zh.po; `python -m tests.reference FILE` takes those of a JSON file, an
object from the English texts to them.
"""
