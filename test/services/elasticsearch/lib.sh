# Sourced by ./get, ./start, ./stop and server.ts.

ES_CACHE=${ES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/penstock-es} # the unpacked server; shared by all runs
ES_RUN=${ES_RUN:-${TMPDIR:-/tmp}/penstock-es}                      # one server's data, logs, config, pid

# The home of a JDK of 21 or later: the first fit of ES_JAVA_HOME, JAVA_HOME, the `java` in use and those installed beside it.
find_java() {
  local beside home
  beside=$(dirname "$(dirname "$(dirname "$(readlink -f "$(command -v java || echo /)")")")")
  for home in "${ES_JAVA_HOME:-}" "${JAVA_HOME:-}" "$beside"/*; do
    [ -x "$home/bin/javac" ] || continue
    [ "$("$home/bin/java" -XshowSettings:properties -version 2>&1 | sed -n 's/.*java.specification.version = //p')" -ge 21 ] || continue
    echo "$home"
    return
  done
  echo "no JDK of 21 or later found: set ES_JAVA_HOME" >&2
  return 1
}

# The pid of the server of ES_RUN, or nothing. A pid taken over by another process does not count.
running_pid() {
  local pid
  pid=$(cat "$ES_RUN/pid" 2>/dev/null) || return 0
  if tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "-Djava.io.tmpdir=$ES_RUN/tmp"; then echo "$pid"; fi
}

# What this machine lacks to run the server, in words; nothing when it has all.
missing() {
  local program
  [ "$(uname -s)" = Linux ] || { echo "Linux"; return; }
  for program in mvn unzip curl unshare; do
    command -v "$program" >/dev/null || echo "$program"
  done
  find_java >/dev/null 2>&1 || echo "a JDK of 21 or later (ES_JAVA_HOME)"
}
