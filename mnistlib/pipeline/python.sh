# Become the Python of the project's environment, built if need be: sh mnistlib/pipeline/python.sh -m mnistlib resolve
# Without arguments, print its path. Some shells allow fewer open files than a kernel needs, but more when asked.
[ "$(ulimit -S -n)" -ge 1024 ] 2>/dev/null || ulimit -S -n 1024 2>/dev/null || ulimit -S -n "$(ulimit -H -n)"
candidates='python3 python3.14 python3.13 python3.12 python3.11 python'
for python in $candidates; do
	command -v "$python" >/dev/null 2>&1 || continue
	"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
	found=$("$python" mnistlib/pipeline/environment.py) || exit
	[ $# -gt 0 ] && exec "$found" "$@"
	echo "$found"
	exit
done
echo "Python 3.11 or newer is needed, and none of $candidates is." >&2
exit 1
