// Tells Python, once, that this part of the page comes into sight: what it shows is then asked for.
new IntersectionObserver((entries, watcher) => {
  if (entries.some((entry) => entry.isIntersecting)) { watcher.disconnect(); trigger("seen"); }
}, { rootMargin: "600px" }).observe(element);
