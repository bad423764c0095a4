// 简体中文。

export const ZH = {
  signIn: '登录', register: '注册账号', username: '用户名', password: '密码', welcome: '欢迎',
  welcomeText: '在你自己的服务器上聊天。', newHere: '还没有账号？', haveAccount: '已有账号？',
  usernameHint: '字母、数字和下划线，不能全是数字', passwordHint: '至少 6 个字符',
  qrLogin: '用其他设备登录', qrLoginText: '请用已登录的设备扫描此二维码。', qrExpired: '二维码已过期。', qrAgain: '刷新二维码', qrMissing: '此服务器不支持二维码登录。',
  backToPassword: '改用密码登录',
  chats: '聊天', contacts: '通讯录', settings: '设置', search: '搜索', searchChats: '搜索聊天', noChats: '还没有聊天', noChatsText: '添加联系人，打个招呼吧。', noMatch: '没有找到',
  pickChat: '你的消息', pickChatText: '在左侧选择一个聊天，或开始新的聊天。',
  message: '消息', typeMessage: '输入消息', send: '发送', emoji: '表情', attach: '发送文件', picture: '图片', camera: '发送图片', voice: '录制语音', stopVoice: '发送录音', cancel: '取消',
  today: '今天', yesterday: '昨天', system: '系统', group: '群组', you: '你', beginning: '这是聊天的开始。', loadOlder: '更早的消息',
  sending: '发送中', sent: '已发送', delivered: '已送达', read: '已读', failed: '未发送：{why}', retry: '重试', discard: '丢弃', edited: '已编辑',
  recalledYou: '你撤回了一条消息', recalledOther: '{name} 撤回了一条消息', typing: '正在输入…',
  reply: '回复', forward: '转发', forwardTo: '转发给', copy: '复制', edit: '编辑', recall: '撤回', remove: '从我这里删除', actions: '消息操作', replyTo: '回复 {name}', editing: '编辑消息', copied: '已复制', forwarded: '已转发',
  storeFailed: '浏览器无法保存消息，存储空间可能已满。请在全部发送完成前不要关闭此页面。', offline: '网络已断开。你写的消息会在恢复后自动发送。', connecting: '正在连接…', reconnect: '立即连接',
  otherTab: '此聊天已在另一个标签页打开。', useHere: '在这里使用', loggedOut: '你已退出登录。', loginExpired: '请重新登录。',
  addContact: '添加联系人', contactName: '用户名或号码', find: '查找', sendRequest: '发送申请', requestSent: '申请已发送', requestText: '介绍一下自己（可选）', requests: '申请', accept: '接受', decline: '拒绝', friends: '好友', groups: '群组', noContacts: '这里还没有人', noContactsText: '通过用户名添加联系人。', noSuchUser: '没有这个用户。', thatIsYou: '这是你自己。',
  write: '发消息', alias: '备注名', block: '拉黑', unblock: '取消拉黑', blocked: '已拉黑', deleteContact: '删除联系人', save: '保存', saved: '已保存', number: '号码',
  newGroup: '新建群组', groupName: '群名称', members: '成员', membersCount: '{count} 位成员', create: '创建', invite: '邀请', joinGroup: '按号码加入', leave: '退出群组', destroy: '解散群组', owner: '群主', admin: '管理员', makeAdmin: '设为管理员', removeAdmin: '取消管理员', mute: '禁言', unmute: '取消禁言', kick: '移出群组', muted: '已禁言', muteAll: '仅管理员可发言', muteNotice: '消息免打扰', announcements: '公告', announce: '发布公告', title: '标题', content: '内容', files: '文件', noFiles: '还没有共享文件', groupInfo: '群组信息', rename: '改名', apply: '申请加入', groupInvitation: '邀请你加入 {name}', wantsIn: '{name} 申请加入 {group}', addFile: '共享文件', mentionAll: '所有人', transfer: '转让群主',
  profile: '个人资料', nickname: '昵称', changePicture: '更换头像', devices: '已登录的设备', thisDevice: '本设备', logoutDevice: '退出', notifications: '通知', notifyOn: '显示通知', notifySecure: '浏览器只在 https 页面显示通知。', notifyDenied: '浏览器禁止了此页面的通知。', micSecure: '浏览器只在 https 页面允许使用麦克风。你仍可以发送音频文件。', micDenied: '无法使用麦克风：{why}', language: '语言', appearance: '外观', themeAuto: '跟随系统', themeLight: '浅色', themeDark: '深色', logout: '退出登录', changePassword: '修改密码', oldPassword: '当前密码', newPassword: '新密码', approval: '谁可以加我', approvalAll: '所有人', approvalAsk: '需要我同意', approvalNone: '任何人都不可以', groupConfirm: '入群前先征求我的同意', allowDevice: '登录其他设备', allowDeviceText: '输入那台设备上显示的代码。', code: '代码', confirmLeave: '要退出此群组吗？', confirmDelete: '要删除此联系人吗？', confirm: '确定', about: '关于',
  uploading: '正在上传 {name}', uploadFailed: '{name} 上传失败：{why}', download: '下载', picture_: '[图片]', voice_: '[语音]', video_: '[视频]', file_: '[文件]', place_: '[位置]', forward_: '[聊天记录]', call_: '[通话]', mentionedYou: '[有人@你]', openPicture: '打开图片', play: '播放', pause: '暂停', pin: '置顶', unpin: '取消置顶', hide: '从列表移除', newMessages: '新消息', close: '关闭', more: '更多', back: '返回', searchInChat: '在此聊天中搜索', found: '找到 {count} 条', dropHere: '松开即可发送文件', unreadCount: '{count} 条未读',
  error_0: '无法连接服务器。', error_10000: '没有这个用户。', error_10001: '用户名或密码错误。', error_10004: '用户名已被占用。', error_11011: '用户名已被占用。', error_40001: '此服务器已关闭注册，请联系管理员开通账号。', error_10005: '你们已经是好友。', error_10006: '无法添加此人。', error_10012: '对方不接受申请。', error_20001: '没有这个群组。', error_404: '此服务器不提供该功能。',
};
