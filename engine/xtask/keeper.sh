# Keeps a RabbitMQ node running for as long as its owner holds our standard input open, and ends it
# however the owner ends: by a word, by a crash, by SIGKILL.
#   $1  the server program     $2  the node's folder
# Input: the line "keep" ends the node and leaves its folder; end of file also removes the folder.
# We end when the node has ended. The environment names the node, its ports and its files.
trap '' HUP INT
exec 3<&0 </dev/null
# epmd in the foreground is ours to end; the one that Erlang would start is a daemon and stays.
epmd -address 127.0.0.1 -port "$ERL_EPMD_PORT" &
epmd=$!
tries=0
until epmd -names >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || { kill "$epmd"; echo "epmd did not start"; exit 1; }
    sleep 0.05
done

"$1" &
server=$!
(
    word=gone
    read -r word <&3 || word=gone
    echo "$word" >"$2/last-word"
    kill -TERM "$server"
) &
watcher=$!

wait "$server"
kill "$watcher" 2>/dev/null
kill "$epmd"
wait
if [ -e "$2/last-word" ] && [ "$(cat "$2/last-word")" != keep ]; then
    rm -rf "$2"
fi
