// Package browsertest looks at the dashboard as people do: its tests start a hub with
// a fleet of its own, and a Chromium that signs in, watches, clicks and reads. They are
// skipped where no Chromium is found, and unless FELHOM_BROWSER is set, so that the
// ordinary tests stay quick; ".ci/run browser" sets it. Nothing imports this package.
//
// With FELHOM_SHOTS set to a folder, every page is photographed into it: light and
// dark, on a desk and on a phone.
package browsertest
