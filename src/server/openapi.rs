//! The API's description, made from the routes themselves.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Orfeas",
        description = "One image in, a closed, coloured 3D mesh out, on your own machine.\n\n\
            A job is submitted as a form with an image. It waits for its turn, runs, and ends as completed, failed or \
            cancelled; that never changes. Identical requests share one job, and each has an id of its own: cancelling \
            one leaves the others alone. A connection that is closed while it waits gives nothing up, unless the form \
            says cancel_on_disconnect.\n\nEvery error is JSON of one shape: \
            {\"error\": {\"code\": …, \"message\": …}}.",
        license(name = "MIT", identifier = "MIT")
    ),
    tags(
        (name = "jobs", description = "From an image to a mesh"),
        (name = "machine", description = "Memory, cache, models and health"),
    ),
    modifiers(&Token)
)]
pub(super) struct Description;

/// The token, which servers on loopback may do without.
struct Token;

impl Modify for Token {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let components = description.components.get_or_insert_default();
        components.add_security_scheme(
            "token",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        );
    }
}
