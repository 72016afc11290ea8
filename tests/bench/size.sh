# size.sh: how much there is to read and to load. Taken in by tests/bench.sh.
echo "size"
tests/structure/size_test.sh | sed 's/^/  /' || failed=1
