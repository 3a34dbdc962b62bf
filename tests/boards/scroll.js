import * as m from './node_modules/react-custom-scrollbars-2/lib/index.js';
const S = m.Scrollbars || m.default?.Scrollbars || m.default?.default;
export default S; export const Scrollbars = S;
