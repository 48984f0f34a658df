//! Routes about messages: what was sent and sending it again, who hears what, who has seen it.

use super::super::openapi::{Doc, doc, page};
use super::super::{deliveries, links, pages, silences, told};
use super::{NO_PAGE, Routes};

/// All of them.
pub(super) fn all(routes: Routes) -> Routes {
    linked(seen(silenced(received(sent(routes)))))
}

fn sent(routes: Routes) -> Routes {
    routes
        .get(
            "/api/v1/deliveries",
            deliveries::list,
            doc("Deliveries", "Messages and actions with their attempts, newest first")
                .text_query("endpoint", "Only to this receiver or action")
                .text_query("experiment", "Only about this experiment")
                .text_query("state", "Only in this state")
                .text_query("kind", "Only of this kind")
                .instant_query("since", "Only made at or after this instant")
                .integer_query("before", "Only before this place: the next page")
                .integer_query("limit", "At most so many, 1 to 500")
                .answers("Deliveries")
                .refuses(422, "The limit or the state cannot be used"),
        )
        .get(
            "/api/v1/deliveries/{id}",
            deliveries::one,
            doc("Deliveries", "One message or action with its attempts")
                .answers("DeliveryDetail")
                .refuses(404, "There is no such delivery"),
        )
        .post(
            "/api/v1/deliveries/{id}/resend",
            deliveries::resend_one,
            doc("Deliveries", "Send one again, with the same id and bytes")
                .with_token()
                .boolean_query("ladder", "Whether a failure is tried again by the ladder")
                .answers_with(202, "Resent")
                .refuses(404, "There is no such delivery")
                .refuses(409, "It is being sent at this moment"),
        )
        .post(
            "/api/v1/deliveries/resend",
            deliveries::resend,
            doc("Deliveries", "Send what was given up again, by time, experiment or endpoint")
                .with_token()
                .takes("Resend")
                .answers("Resent")
                .answers_with(202, "Resent")
                .refuses(400, "The body is no JSON")
                .refuses(413, "The body is too large")
                .refuses(415, "The body is not declared as JSON")
                .refuses(422, "It does not say which"),
        )
}

fn received(routes: Routes) -> Routes {
    routes
        .get(
            "/api/v1/endpoints",
            deliveries::endpoints,
            doc("Deliveries", "Receivers, how they do and what waits for them")
                .answers("Endpoints"),
        )
        .post(
            "/api/v1/endpoints/{name}/enable",
            deliveries::enable,
            doc("Deliveries", "Try a degraded or disabled receiver again")
                .with_token()
                .answers_with(202, "Enabled")
                .refuses(404, "There is no such receiver")
                .refuses(409, "It is neither degraded nor disabled"),
        )
}

fn silenced(routes: Routes) -> Routes {
    routes
        .get(
            "/api/v1/silences",
            silences::list,
            doc("Silences", "Every silence, newest first").answers("Silences"),
        )
        .post(
            "/api/v1/silences",
            silences::add,
            doc("Silences", "Keep matching messages back until an end; never a tripwire")
                .with_token()
                .takes("NewSilence")
                .answers_with(201, "Silence")
                .refuses(400, "The body is no JSON")
                .refuses(413, "The body is too large")
                .refuses(415, "The body is not declared as JSON")
                .refuses(422, "Matcher, reason or end cannot be used"),
        )
        .get(
            "/api/v1/silences/{id}",
            silences::one,
            doc("Silences", "One silence")
                .answers("Silence")
                .refuses(404, "There is no such silence"),
        )
        .delete(
            "/api/v1/silences/{id}",
            silences::end,
            doc("Silences", "End a silence now")
                .with_token()
                .text_query("because", "Why it is ended")
                .answers("Silence")
                .refuses(404, "There is no such silence")
                .refuses(409, "It has ended already"),
        )
}

fn seen(routes: Routes) -> Routes {
    routes
        .get(
            "/api/v1/told",
            told::list,
            doc("Silences", "Who heard what, who did not and why, newest first")
                .text_query("experiment", "Only about this experiment")
                .integer_query("limit", "At most so many, 1 to 500")
                .answers("Told")
                .refuses(422, "The limit is outside its range"),
        )
        .get(
            "/api/v1/acknowledgements",
            told::acknowledgements,
            doc("Silences", "Who has seen what, newest first")
                .text_query("experiment", "Only about this experiment")
                .integer_query("limit", "At most so many, 1 to 500")
                .answers("Acknowledgements")
                .refuses(422, "The limit is outside its range"),
        )
        .post(
            "/api/v1/acknowledgements",
            told::acknowledge,
            doc("Silences", "Acknowledge a notice: it is not repeated until it clears")
                .with_token()
                .takes("NewAcknowledgement")
                .answers_with(201, "Acknowledgement")
                .refuses(400, "The body is no JSON")
                .refuses(404, "There is no such notice")
                .refuses(409, "Somebody acknowledged it before")
                .refuses(413, "The body is too large")
                .refuses(415, "The body is not declared as JSON")
                .refuses(422, "A field is missing, unknown or too long"),
        )
}

fn linked(routes: Routes) -> Routes {
    routes
        .get("/silences", pages::silences, page("Silences"))
        .post(
            "/silences",
            silences::add_by_form,
            page("A silence by form")
                .refuses(401, "The form's token is missing or not known")
                .refuses(403, "The form is not of this daemon, or too old")
                .refuses(422, "The form cannot be used"),
        )
        .post(
            "/silences/{id}/end",
            silences::end_by_form,
            page("The end of a silence by form")
                .refuses(401, "The form's token is missing or not known")
                .refuses(403, "The form is not of this daemon, or too old")
                .refuses(404, NO_PAGE),
        )
        .get("/n/{token}", links::show, link("What a link of a message will do"))
        .post(
            "/n/{token}",
            links::perform,
            link("What a link of a message says is done")
                .refuses(403, "The form belongs to another link")
                .refuses(409, "It was done before")
                .refuses(422, "A name and a reason are needed"),
        )
}

/// A signed link of a message.
fn link(summary: &'static str) -> Doc {
    page(summary)
        .refuses(404, "No link of this daemon reads so")
        .refuses(410, "The link is too old")
}
