//! Which elements of a drawing refer to which, by their attributes and by the rules of its style sheets.
//! Follows nothing and draws nothing.

use super::DecodeError;
use resvg::usvg::roxmltree::{Document, Node, NodeId};
use simplecss::{
    AttributeOperator, DeclarationTokenizer, Element, PseudoClass, Selector, StyleSheet,
};
use std::collections::HashMap;

/// The most steps that comparing each element with each rule may take: about a second's worth.
pub(super) const MAX_STEPS: u64 = 200_000_000;

pub(super) const TOO_MANY_RULES: DecodeError = DecodeError::TooComplex {
    reason: "it has too many style rules for its elements",
};

const INHERITED_EFFECT: DecodeError = DecodeError::TooComplex {
    reason: "an element inherits an effect, which may then apply to itself",
};

/// Cuts what patterns and markers inherit from the elements around them. The converter recurses without
/// end into circles of references, inherited ones included.
pub(super) const NO_INHERITANCE: &str =
    "pattern,marker,mask,clipPath{fill:#000;stroke:none;marker:none}";

/// What each element refers to.
pub(super) struct References<'a, 'input> {
    targets: HashMap<NodeId, Vec<Node<'a, 'input>>>,
    /// The most steps that comparing one element with every rule takes.
    pub(super) steps_of_rules: u64,
    /// Whether an element passes a reference to a pattern or marker on to what is within it.
    pub(super) are_passed_on: bool,
}

impl<'a, 'input> References<'a, 'input> {
    /// Reads them off a document whose elements are nested so deeply.
    ///
    /// # Errors
    ///
    /// [`DecodeError::TooComplex`] where there are too many rules, or an element is told to inherit what
    /// it would not by itself, so that nothing here tells what it refers to.
    pub(super) fn of(document: &'a Document<'input>, depth: usize) -> Result<Self, DecodeError> {
        let by_id = targets_by_id(document);
        let sheet = style_sheet(document);
        let elements = || document.descendants().filter(Node::is_element);
        let steps_of_rules = sheet.rules.iter().fold(0, |steps: u64, rule| {
            steps.saturating_add(steps_of(&rule.selector, depth))
        });
        if steps_of_rules.saturating_mul(elements().count() as u64) > MAX_STEPS {
            return Err(TOO_MANY_RULES);
        }
        let has_effects = elements().any(|node| {
            ["filter", "mask", "clipPath", "pattern", "marker"].contains(&node.tag_name().name())
        });
        let mut targets = HashMap::new();
        let mut are_passed_on = false;
        for node in elements() {
            let mut own = Vec::new();
            for (name, value) in properties(node, &sheet) {
                if has_effects && value.contains("inherit") && inherits_an_effect(node, name) {
                    return Err(INHERITED_EFFECT);
                }
                let before = own.len();
                own.extend(ids_in(name, value).filter_map(|id| by_id.get(id)).flatten());
                are_passed_on |= own.len() > before && node.has_children() && is_inherited(name);
            }
            own.sort_by_key(|target: &Node| target.id().get_usize());
            own.dedup();
            if !own.is_empty() {
                targets.insert(node.id(), own);
            }
        }
        Ok(Self {
            targets,
            steps_of_rules,
            are_passed_on,
        })
    }

    /// What an element refers to.
    pub(super) fn of_element(&self, node: Node<'a, 'input>) -> &[Node<'a, 'input>] {
        self.targets.get(&node.id()).map_or(&[], Vec::as_slice)
    }
}

/// The most steps that comparing an element with a selector takes: where a part may match any ancestor, all
/// of them are tried, and for each of them all that are around it.
fn steps_of(selector: &Selector<'_>, depth: usize) -> u64 {
    let text = selector.to_string();
    let parts = text.split_whitespace();
    let compounds = parts.filter(|part| !matches!(*part, ">" | "+")).count() as u32;
    (depth.max(1) as u64).saturating_pow(compounds.saturating_sub(1))
}

/// Properties whose references pass to what is within an element.
fn is_inherited(name: &str) -> bool {
    matches!(
        name,
        "fill" | "stroke" | "marker" | "marker-start" | "marker-mid" | "marker-end"
    )
}

/// Whether a property that is told to be inherited may bring a reference that its element states nowhere.
fn inherits_an_effect(node: Node<'_, '_>, name: &str) -> bool {
    let cuts_inheritance = ["pattern", "marker", "mask", "clipPath"];
    matches!(name, "filter" | "mask" | "clip-path")
        || (is_inherited(name) && cuts_inheritance.contains(&node.tag_name().name()))
}

/// The elements that references can lead to, gradients aside: those lead no further. Where several have
/// the same id, the converter takes now the first of them and now the last: these two.
fn targets_by_id<'a, 'input>(
    document: &'a Document<'input>,
) -> HashMap<&'a str, [Node<'a, 'input>; 2]> {
    let mut by_id: HashMap<&str, [Node; 2]> = HashMap::new();
    for node in document.descendants() {
        if let Some(id) = node.attribute("id")
            && !node.tag_name().name().ends_with("Gradient")
        {
            by_id
                .entry(id)
                .and_modify(|ends| ends[1] = node)
                .or_insert([node; 2]);
        }
    }
    by_id
}

fn style_sheet<'a>(document: &'a Document<'_>) -> StyleSheet<'a> {
    let mut sheet = StyleSheet::new();
    let sheets = document
        .descendants()
        .filter(|node| node.tag_name().name() == "style");
    for text in sheets.filter_map(|sheet| sheet.text()) {
        sheet.parse_more(text);
    }
    sheet
}

/// The names and values that apply to an element: its attributes, its own style, the rules that match it.
fn properties<'a>(
    node: Node<'a, '_>,
    sheet: &StyleSheet<'a>,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    // A link leads a reader on, not the converter.
    let is_link = node.tag_name().name() == "a";
    let attributes = node
        .attributes()
        .map(|attribute| (attribute.name(), attribute.value()))
        .filter(move |(name, _)| *name != "style" && !(is_link && *name == "href"));
    let own = node.attribute("style").unwrap_or_default();
    let own = DeclarationTokenizer::from(own);
    let rules = sheet.rules.iter();
    let matching = rules.filter(move |rule| rule.selector.matches(&Styled(node)));
    let declared = matching.flat_map(|rule| rule.declarations.iter().copied());
    let styles = declared
        .chain(own)
        .map(|declaration| (declaration.name, declaration.value));
    attributes.chain(styles)
}

/// The ids that a property refers to: `#id` where it is an address, `url(…)`, quoted or not, anywhere.
fn ids_in<'a>(name: &str, value: &'a str) -> impl Iterator<Item = &'a str> {
    let address = value.trim().strip_prefix('#').filter(|_| name == "href");
    let within = value.split("url(").skip(1).filter_map(|rest| {
        let rest = rest.trim_start();
        let quote = rest.chars().next().filter(|&c| c == '"' || c == '\'');
        let address = match quote {
            Some(quote) => rest[1..].split(quote).next()?,
            None => rest.split([' ', ')']).next()?,
        };
        address.trim().strip_prefix('#')
    });
    address.into_iter().chain(within)
}

/// An element as selectors see it; they match as in the converter.
struct Styled<'a, 'input>(Node<'a, 'input>);

impl Element for Styled<'_, '_> {
    fn parent_element(&self) -> Option<Self> {
        self.0.parent_element().map(Self)
    }

    fn prev_sibling_element(&self) -> Option<Self> {
        self.0.prev_sibling_element().map(Self)
    }

    fn has_local_name(&self, name: &str) -> bool {
        self.0.tag_name().name() == name
    }

    fn attribute_matches(&self, name: &str, operator: AttributeOperator<'_>) -> bool {
        self.0
            .attribute(name)
            .is_some_and(|value| operator.matches(value))
    }

    fn pseudo_class_matches(&self, class: PseudoClass<'_>) -> bool {
        class == PseudoClass::FirstChild && self.prev_sibling_element().is_none()
    }
}
