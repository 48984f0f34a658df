//! Routes about messages: what was sent and sending it again, who hears what, who has seen it.

use super::super::openapi::{Doc, doc, page};
use super::super::{deliveries, links, pages, silences, slack, told};
use super::Routes;
use crate::store::DeliveryState;

/// All of them.
pub(super) fn all(routes: Routes) -> Routes {
    pressed(linked(seen(silenced(received(sent(routes))))))
}

fn sent(routes: Routes) -> Routes {
    routes
        .get(
            "/api/v1/deliveries",
            deliveries::list,
            doc("Deliveries", "Messages and actions with their attempts, newest first")
                .text_query("endpoint", "Only to this receiver or action")
                .text_query("experiment", "Only about this experiment")
                .choice_query("state", "Only in this state", &states())
                .text_query("kind", "Only of this kind")
                .instant_query("since", "Only made at or after this instant")
                .integer_query("before", "Only before this place: the next page")
                .limit_query(deliveries::MAX_PAGE)
                .answers("Deliveries"),
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

fn states() -> [&'static str; DeliveryState::ALL.len()] {
    DeliveryState::ALL.map(DeliveryState::as_str)
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
                .refuses(409, "It is neither degraded, disabled nor paused"),
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
                .pattern_query("because", "Why it is ended", "\\S")
                .answers("Silence")
                .refuses(404, "There is no such silence")
                .refuses(409, "It has ended already")
                .refuses(422, "The reason is blank or too long"),
        )
}

fn seen(routes: Routes) -> Routes {
    routes
        .get(
            "/api/v1/told",
            told::list,
            doc("Silences", "Who heard what, who did not and why, newest first")
                .text_query("experiment", "Only about this experiment")
                .limit_query(told::MAX_PAGE)
                .answers("Told"),
        )
        .get(
            "/api/v1/acknowledgements",
            told::acknowledgements,
            doc("Silences", "Who has seen what, newest first")
                .text_query("experiment", "Only about this experiment")
                .limit_query(told::MAX_PAGE)
                .answers("Acknowledgements"),
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
        .post(
            "/api/v1/snoozes",
            told::snooze,
            doc("Silences", "Hold back what is said about the thing of a notice; once for each")
                .with_token()
                .takes("NewSnooze")
                .answers_with(201, "Silence")
                .refuses(400, "The body is no JSON")
                .refuses(404, "There is no such notice")
                .refuses(409, "Somebody snoozed it before")
                .refuses(413, "The body is too large")
                .refuses(415, "The body is not declared as JSON")
                .refuses(422, "A field cannot be used, or the notice says nothing that lasts"),
        )
}

fn linked(routes: Routes) -> Routes {
    routes
        .get("/silences", pages::silences, page("Silences"))
        .post(
            "/silences",
            silences::add_by_form,
            form("A silence by form")
                .takes_form("SilenceForm")
                .refuses_page(422, "The form cannot be used"),
        )
        .post(
            "/silences/{id}/end",
            silences::end_by_form,
            form("The end of a silence by form")
                .takes_form("EndForm")
                .refuses_page(404, "There is no such silence")
                .refuses_page(409, "It has ended already")
                .refuses_page(422, "A reason is needed"),
        )
        .get("/n/{token}", links::show, link("What a link of a message will do"))
        .post(
            "/n/{token}",
            links::perform,
            link("What a link of a message says is done")
                .takes_form("LinkForm")
                .refuses_page(403, "The form belongs to another link")
                .refuses_page(409, "It was done before")
                .refuses_page(422, "A name and a reason are needed"),
        )
}

fn pressed(routes: Routes) -> Routes {
    routes.post(
        "/inbound/slack",
        slack::pressed,
        doc("Inbound", "A button that was pressed in Slack; Slack signs the request")
            .header("X-Slack-Request-Timestamp", "When it was signed, in unix seconds")
            .header("X-Slack-Signature", "v0= and the digits of the signature")
            .takes_form("SlackPress")
            .answers_empty(200, "It is taken, or it is nothing of ours")
            .refuses(401, "The signature is missing, wrong or too old")
            .refuses(404, "No receiver has a signing secret")
            .refuses(409, "This request was taken before")
            .refuses(413, "The body is too large")
            .refuses(415, "The body is no form")
            .refuses(422, "The payload is no interaction of Slack"),
    )
}

/// A form that asks for a token.
fn form(summary: &'static str) -> Doc {
    page(summary)
        .refuses_page(401, "The form's token is missing or not known")
        .refuses_page(403, "The form is not of this daemon, or too old")
}

/// A signed link of a message.
fn link(summary: &'static str) -> Doc {
    page(summary)
        .refuses_page(404, "No link of this daemon reads so")
        .refuses_page(410, "The link is too old")
}
