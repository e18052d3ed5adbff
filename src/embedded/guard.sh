# Ends a Postgres when the process that started it is gone, however that one ended: its end closes our standard input.
# Arguments: the server's process id, its postmaster.pid, and the seconds that an orderly end may take.
trap '' HUP INT QUIT TERM
PATH=/usr/bin:/bin:$PATH
pid=$1 file=$2 patience_s=$3

# The id alone could be somebody else's by then.
still_runs() {
    { read -r recorded <"$file"; } 2>/dev/null && [ "$recorded" = "$pid" ] && kill -0 "$pid" 2>/dev/null
}

while read -r _; do :; done
still_runs && kill -INT "$pid"
while still_runs; do
    if [ "$patience_s" -le 0 ]; then
        kill -QUIT "$pid"
        exit
    fi
    patience_s=$((patience_s - 1))
    sleep 1
done
