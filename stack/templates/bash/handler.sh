# The function. What is outside of `handle` is run once for each worker.

handle() {
  printf 'Hello! You said: '
  cat
}
