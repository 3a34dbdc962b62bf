import react from '@vitejs/plugin-react'
export default { plugins:[react()], define:{'process.env.NODE_ENV':'"production"'}, resolve:{alias:[{find:/^react-custom-scrollbars-2$/,replacement:new URL('./scroll.js', import.meta.url).pathname}]}, build:{minify:false,target:'esnext',chunkSizeWarningLimit:99999}, server:{host:'127.0.0.1'} }
