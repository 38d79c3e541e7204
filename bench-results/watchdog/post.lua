wrk.method = "POST"
wrk.body = "hello wide world"
