//! `/system/logs`: lines as JSON, one on a line.

use std::rc::Rc;

use hyper::Response;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Api, ApiError, Call, reply, reply::ReplyBody};
use crate::provider::LogQuery;

/// Lines of the function `?name=`, chosen by `instance`, `tail`, `since` and `follow`.
pub(super) async fn logs(api: Rc<Api>, call: Call) -> Result<Response<ReplyBody>, ApiError> {
    let Some(name) = call.param("name") else {
        return Err(ApiError::bad_request(
            "name: say of which function, as in /system/logs?name=wc".to_owned(),
        ));
    };
    let id = call.function(name, "")?;
    let query = query(&call)?;
    api.statics.refuse_logs(&id)?;
    let lines = api
        .provider
        .logs(&id, query)
        .await
        .map_err(|error| ApiError::from(error).about(&id))?;
    Ok(reply::lines(lines))
}

fn query(call: &Call) -> Result<LogQuery, ApiError> {
    let wrong = |name: &str, text: &str, right: &str| {
        let text = text.escape_default();
        ApiError::bad_request(format!("{name}: '{text}' is not {right}"))
    };
    // Nothing, zero and less mean all, as in the original.
    let tail = match call.param("tail") {
        None => None,
        Some(text) => match text.parse::<i64>() {
            Ok(count) => usize::try_from(count).ok().filter(|count| *count > 0),
            Err(_) => return Err(wrong("tail", text, "a number of lines")),
        },
    };
    let since = match call.param("since") {
        None => None,
        Some(text) => {
            // A '+' that was not escaped has become a space on the way.
            let time = OffsetDateTime::parse(&text.replace(' ', "+"), &Rfc3339);
            let right = "a time as in 2026-01-31T12:00:00Z";
            Some(time.map_err(|_no_time| wrong("since", text, right))?)
        }
    };
    Ok(LogQuery {
        instance: call.param("instance").map(str::to_owned),
        tail,
        since,
        follow: call.flag("follow")?,
    })
}
