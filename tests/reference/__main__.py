import json
import sys
from pathlib import Path

from tests.reference import pages

more = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")) if sys.argv[1:] else {}
if wanted := pages.write(more):
    sys.stdout.write(f"without a translation in {pages.PO}:\n{wanted}")
