// Before anything is drawn: the look chosen on this device. No module, so that it runs first.
try {
  document.documentElement.dataset.theme = localStorage.getItem('lanying-theme') || 'auto';
} catch {
  document.documentElement.dataset.theme = 'auto'; // cookies are blocked
}
