// What changes here is read out to those who use a screen reader.
element.setAttribute("aria-live", "polite");
