//! The declaration itself.

/// Declares a struct of metric families.
///
/// ```
/// use obs_core::{By, Counter, Gauge, Histogram, Outcome, Unit, buckets};
///
/// obs_core::label! {
///     /// Where orders go.
///     pub open Venue as "venue" up to 20
/// }
///
/// obs_core::families! {
///     /// What one venue does with our orders.
///     pub struct VenueMetrics(venue: Venue) {
///         /// Orders closed, by how they ended.
///         pub closed: By<Outcome, Counter> = "desk_orders_closed_total",
///         /// Slippage against the benchmark price; adverse is positive.
///         pub slippage: Histogram = "desk_slippage_bps" { buckets: buckets::SIGNED_BPS },
///         /// Money held at the venue.
///         pub balance: Gauge = "desk_balance" { unit: Unit::Currency },
///     }
/// }
///
/// assert_eq!(VenueMetrics::FAMILIES.len(), 3);
/// assert_eq!(VenueMetrics::closed.name(), "desk_orders_closed_total");
/// assert_eq!(VenueMetrics::closed.help(), "Orders closed, by how they ended.");
/// let labels: Vec<_> = VenueMetrics::closed.labels().map(|label| label.key).collect();
/// assert_eq!(labels, ["venue", "outcome"]);
/// ```
///
/// - In parentheses stand the **scope labels**, fixed once per value by `new`: an open label takes text, a closed one its
///   enum. They may be left out.
/// - A field's **doc comment** is the metric's help; its first paragraph is exported, the rest is for readers.
/// - Its **type** is the metric's shape: leaves and axes, composed.
/// - The **name** stands whole, so that one search finds code, panel and alert.
/// - A **`group`** before the struct says what its families are shown with on the live page and in the terminal view:
///   `group "Quoting";` by title, `group "Quoting" { … }` with figures to show first, or `group QUOTING;` where several structs
///   share a [`Group`](crate::Group). Without it the package's name is the title.
/// - **Options** in braces are the methods of [`Family`](crate::Family): `buckets`, `quantiles`, `unit`, `range`, `budget`,
///   `idle`, `exemplars`, `across`, `objective`.
///
/// The struct gets `new`, which resolves every handle from the installed recorder and hands it the declaration; a constant for
/// each field, called like the field, which is its [`Family`](crate::Family); and [`Families`](crate::Families), by which a
/// [`Catalogue`](crate::Catalogue) lists them all. A name, suffix, label or bucket against the conventions does not compile, and the
/// message says what to write.
#[macro_export]
macro_rules! families {
    ( group $title:literal; $($declared:tt)* ) => {
        $crate::__grouped! { ($crate::Group::new($title)) $($declared)* }
    };
    ( group $title:literal { $($figure:expr),* $(,)? } $($declared:tt)* ) => {
        $crate::__grouped! { ($crate::Group::new($title).figures(&[$($figure),*])) $($declared)* }
    };
    ( group $group:path; $($declared:tt)* ) => {
        $crate::__grouped! { ($group) $($declared)* }
    };
    ( $($declared:tt)* ) => {
        $crate::__grouped! { () $($declared)* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __grouped {
    ( $group:tt $(#[$meta:meta])* $vis:vis struct $Name:ident { $($fields:tt)* } ) => {
        $crate::__grouped! { $group $(#[$meta])* $vis struct $Name() { $($fields)* } }
    };
    ( $group:tt $(#[$meta:meta])* $vis:vis struct $Name:ident ( $($scope:tt)* ) { $($fields:tt)* } ) => {
        // The scope is handed on twice: once to be taken apart, once whole, for use with every field.
        $crate::__families! { $group ($($scope)*) ($($scope)*) $(#[$meta])* $vis struct $Name { $($fields)* } }
    };
}

/// The group of a struct as its families refer to it: by a function, because the group's figures name these very families, and a
/// constant cannot hold itself.
#[doc(hidden)]
#[macro_export]
macro_rules! __group {
    (()) => {
        None
    };
    (($group:expr)) => {{
        fn group() -> &'static $crate::Group {
            const OF_THESE_FAMILIES: &$crate::Group = &$group;
            OF_THESE_FAMILIES
        }
        Some(group)
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __families {
    (
        $group:tt ( $($scope:ident : $Scope:ty),* $(,)? ) $whole_scope:tt
        $(#[$meta:meta])*
        $vis:vis struct $Name:ident {
            $(
                $(#[doc = $doc:literal])*
                $fvis:vis $field:ident : $Shape:ty = $name:literal $( { $($option:ident : $value:expr),* $(,)? } )?
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug)]
        $vis struct $Name {
            $(
                $(#[doc = $doc])*
                #[doc = concat!("\n\nExported as `", $name, "`.")]
                $fvis $field: $Shape,
            )*
        }

        impl $Name {
            /// The families of this struct, for a catalogue.
            pub const FAMILIES: &'static [$crate::Family] = &[$(*Self::$field),*];

            const SCOPE_LABELS: usize = <[&str]>::len(&[$(stringify!($scope)),*]);

            const GROUP: Option<fn() -> &'static $crate::Group> = $crate::__group!($group);

            $(
                #[doc = concat!("The family `", $name, "`, as it is declared.")]
                #[allow(non_upper_case_globals, reason = "it is called like the field")]
                $fvis const $field: &'static $crate::Family = &$crate::Family::new(
                    $name,
                    concat!($($doc, "\n"),*),
                    <$Shape as $crate::Series>::KIND,
                    <$Shape as $crate::Series>::DECIMALS,
                    $crate::__labels!($whole_scope <$Shape as $crate::Series>::LABELS),
                    Self::SCOPE_LABELS,
                )
                .declared(env!("CARGO_PKG_NAME"), file!(), line!())
                .grouped(Self::GROUP)
                $( $( .$option($value) )* )?;
            )*

            /// Resolves every series whose labels are known, from the recorder that is installed; under a test
            /// recorder, from that.
            ///
            /// Before a recorder is installed the handles record nothing, for good. The exporter warns of that with the place
            /// of this call.
            #[must_use]
            #[track_caller]
            pub fn new( $( $scope: impl Into<$crate::Value<$Scope>> ),* ) -> Self {
                let scope = vec![ $( Into::<$crate::Value<$Scope>>::into($scope).into_label() ),* ];
                let root = $crate::__private::Root::new(scope);
                Self { $( $field: root.resolve(Self::$field) ),* }
            }
        }

        impl $crate::Families for $Name {
            const FAMILIES: &'static [$crate::Family] = Self::FAMILIES;
        }

        const _: () = {
            let mut i = 0;
            while i < $Name::FAMILIES.len() {
                let fault = $Name::FAMILIES[i].fault();
                assert!(fault.is_empty(), "{}", fault.as_str());
                i += 1;
            }
        };

        $crate::__check_group!($group);
    };
}

/// What is wrong with a group and its figures. Apart from what its families hold, for the same reason.
#[doc(hidden)]
#[macro_export]
macro_rules! __check_group {
    (()) => {};
    (($group:expr)) => {
        const _: () = {
            let fault = $group.fault();
            assert!(fault.is_empty(), "{}", fault.as_str());
        };
    };
}

/// The labels of a family as a constant list: the scope's in front of the shape's.
#[doc(hidden)]
#[macro_export]
macro_rules! __labels {
    (() $rest:expr) => { $rest };
    (($scope:ident : $Scope:ty $(, $($more:tt)*)?) $rest:expr) => {
        Some(&$crate::LabelNode {
            label: <$Scope as $crate::Label>::DECL,
            next: $crate::__labels!(($($($more)*)?) $rest),
        })
    };
}
