#!/bin/sh
# docs_test: the generated pages (docs/abi.md, docs/tour.md) are what their sources give. Why: a page that is not made
# again tells of yesterday. Expected: no difference, and every source file of the tree in the tour.
cd "$(dirname "$0")/../.." && tools/docs.sh --check && echo "the generated pages are true"
